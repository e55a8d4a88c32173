"""What the trial `poison` is made of.

shop       a model that is live, with its log, labels and passes of monitoring and maintenance
floods     how somebody may try to spoil it
service    the champion behind a real service, which asks for a key
"""
