"""Files for labelling tools.

coco           COCO, which CVAT imports ("COCO 1.0") and the source `coco` reads
label_studio   Label Studio: tasks with predictions, and the labelling interface
"""
