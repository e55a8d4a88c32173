"""Photos per second of Ultralytics' trainer, in an environment of its own; `training.py` runs this file there.

    python ultralytics_training.py DATA.yaml MODEL.yaml SIZE BATCH EPOCHS THREADS WORKERS

Ultralytics is licensed under the AGPL: nothing of Pizzeria imports it, and it stands in no lock of Pizzeria. Its own
defaults decide everything but the arguments, except that photos are kept in memory, nothing is plotted, and validation
and early stopping are left out. The last line that is printed is JSON: when training steps ended, by the clock and in
CPU time, that of the workers included.
"""

import json
import sys
import tempfile
import time
from typing import Any

import psutil
import torch
from ultralytics import YOLO, settings


def main() -> None:
    data, model, *numbers = sys.argv[1:]
    size, batch, epochs, threads, workers = map(int, numbers)
    others = ("clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb", "sync")
    settings.update({name: False for name in others if name in settings})
    network = YOLO(model, task="detect")
    times: list[tuple[float, float]] = []

    def begin(_trainer: Any) -> None:
        torch.set_num_threads(threads)  # it takes one core less than there are

    network.add_callback("on_train_start", begin)

    def note(_trainer: Any) -> None:
        workers_cpu = sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))
        times.append((time.perf_counter(), time.process_time() + workers_cpu))

    network.add_callback("on_train_batch_end", note)
    with tempfile.TemporaryDirectory() as folder:
        network.train(
            data=data,
            imgsz=size,
            batch=batch,
            epochs=epochs,
            workers=workers,
            device="cpu",
            cache="ram",
            pretrained=False,
            close_mosaic=0,
            val=False,
            plots=False,
            patience=epochs,
            project=folder,
            verbose=False,
        )
        parameters = sum(parameter.numel() for parameter in network.model.parameters())
    print(json.dumps({"times": times, "parameters": parameters}))


if __name__ == "__main__":
    main()
