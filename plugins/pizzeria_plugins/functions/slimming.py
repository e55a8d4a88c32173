"""What of the installed packages a function leaves at home: tests, headers, tools, what serving never loads."""

from __future__ import annotations

import shutil
from fnmatch import fnmatchcase
from pathlib import Path

RULES = (
    # of any package
    *("bin/*", "*/tests/*", "*.pyi", "*.pyx", "*.pxd", "*.c", "*.h", "*.hpp", "*.a", "*.lib", "*/__pycache__/*"),
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/WHEEL"),
    *("*.dist-info/direct_url.json", "*.dist-info/entry_points.txt", "*.dist-info/sboms/*"),
    # ONNX Runtime: the module that Python loads has all of it inside; this is the same for C programs
    *("onnxruntime/capi/libonnxruntime.so*", "onnxruntime/tools/*", "onnxruntime/transformers/*"),
    *("onnxruntime/quantization/*", "onnxruntime/datasets/*", "onnxruntime/backend/*"),
    # numpy: compilers, and what its tests use
    *("numpy/f2py/*", "numpy/testing/*", "numpy/distutils/*", "numpy/_core/include/*", "numpy/_core/lib/*"),
    *("numpy/random/lib/*", "numpy/random/_examples/*", "numpy/doc/*", "numpy/_core/_*_tests.*"),
    # Pillow: fonts, colour profiles and formats that are refused anyway
    *("PIL/_avif.*", "PIL/_imagingft.*", "PIL/_imagingcms.*", "PIL/_imagingtk.*", "pillow.libs/libavif*"),
    *("pillow.libs/libfreetype*", "pillow.libs/libharfbuzz*", "pillow.libs/liblcms2*", "pillow.libs/libbrotli*"),
    *("pillow.libs/libpng*",),
    # pydantic: its first version
    *("pydantic/v1/*", "pydantic/mypy.py"),
)
"""Patterns of the paths that go; `*` stands for slashes, too."""


def leaves(path: str) -> bool:
    """Whether a file goes.

    Example:
        >>> leaves("numpy/linalg/tests/test_linalg.py"), leaves("numpy/linalg/_linalg.py")
        (True, False)
    """
    return any(fnmatchcase(path, rule) for rule in RULES)


def slim(folder: Path) -> None:
    """Delete those files of a folder of packages, and folders that are empty then."""
    for path in [one for one in folder.rglob("*") if one.is_file()]:
        if leaves(path.relative_to(folder).as_posix()):
            path.unlink()
    for path in sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True):
        if not any(path.iterdir()):
            shutil.rmtree(path)
