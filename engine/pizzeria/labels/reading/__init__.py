"""Files of labels, whoever wrote them: each gives `Said`, one for each thing that somebody labelled.

tables         CSV, Parquet and JSON lines
coco           COCO, as labelling tools export it
label_studio   Label Studio's JSON
cvat           CVAT for images 1.1
"""

from pizzeria.labels.reading.files import read_file
from pizzeria.labels.reading.said import Read, Said

__all__ = ["Read", "Said", "read_file"]
