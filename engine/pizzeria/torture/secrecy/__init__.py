"""What the trial `secrets` is made of.

planted        secrets in the environment, and the search for them in whatever is left and told
network        a network with nothing in it, and a list of who wanted to leave it
life           a whole life cycle as commands, also those that fail
asking         pages of a service, fetched from inside of that network
"""
