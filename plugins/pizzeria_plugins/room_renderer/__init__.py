"""Renders photos of furnished rooms, offline and reproducibly: for the source `rooms` and for the demo's traffic.

listing                                 a home: its photos, and what its owner declares
  rooms, kitchen, room                  furnish one room
    shell                               floor, walls, windows, rugs
    styles                              the furniture that boxes are drawn around, in
      beds, sofas, dining, appliances
    clutter                             everything else
    palette                             the colours of a home
  painter, order                        draw it, and say what stays visible
    solids                              boxes, cylinders and prisms, of which all is built
  light                                 the light of the day, the camera, the JPEG
"""

from typing import Literal

CLASSES = ("bed", "sofa", "table", "chair", "stove", "fridge", "sink", "tv")
"""Classes of amenities that rooms show."""

Shift = Literal["none", "dark", "blur", "styles", "all"]
"""What is different from ordinary photos: light, sharpness, the furniture's styles, or all three."""
