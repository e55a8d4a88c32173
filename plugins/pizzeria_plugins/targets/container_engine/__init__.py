"""What the target `container` says to docker, podman or buildah.

commands    the argv lists, as text
programs    which of them works here; runs the commands
kept        what the target keeps of a deployment
service     containers of a deployment: start, check, stop
"""
