"""Labels that come back: the truth of predictions, asked for, read from labelling tools, kept, and used as new data.

served       the predictions of a deployed model, and its log
reading      files of labels: tables, COCO, Label Studio, CVAT
adding       from a file to the log
worth        how much each prediction is worth a label, and why
choosing     the ones to be asked, near-equal ones once
queueing     writes what is to be labelled
suggesting   what the champion would say, for a labeller to correct
writing      COCO and Label Studio files
exporting    labelled predictions as new training data
"""

from pizzeria.labels.adding import Added, add
from pizzeria.labels.exporting import Exported, export
from pizzeria.labels.queueing import Queued, queue
from pizzeria.labels.served import Served, open_served
from pizzeria.labels.suggesting import Suggested, suggest

__all__ = [
    "Added",
    "Exported",
    "Queued",
    "Served",
    "Suggested",
    "add",
    "export",
    "open_served",
    "queue",
    "suggest",
]
