"""What the trial `poison` is made of.

shop       a model that is live, with its log, labels and passes of maintenance
floods     how somebody may try to spoil it
"""
