"""The furniture that boxes are drawn around: its classes, and the styles of each, known and new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from pizzeria_plugins.room_renderer import appliances, beds, dining, sofas
from pizzeria_plugins.room_renderer.solids import Colour, Solid

Style = Callable[[Random, Colour], list[Solid]]

KNOWN: Mapping[str, tuple[Style, ...]] = {
    "bed": (beds.platform_bed, beds.barred_bed, beds.upholstered_bed),
    "sofa": (sofas.padded_sofa, sofas.boxy_sofa, sofas.corner_sofa),
    "table": (dining.plank_table, dining.round_table, dining.trestle_table),
    "coffee table": (dining.coffee_table,),
    "chair": (dining.ladder_chair, dining.padded_chair, dining.shell_chair),
    "stove": (appliances.white_stove, appliances.steel_stove, appliances.black_stove),
    "fridge": (appliances.two_door_fridge, appliances.french_fridge, appliances.rounded_fridge),
    "kitchen sink": (appliances.apron_sink, appliances.steel_sink, appliances.dark_sink),
    "bathroom sink": (appliances.pedestal_sink, appliances.wall_sink, appliances.vessel_sink),
    "tv": (appliances.footed_tv, appliances.soundbar_tv, appliances.wall_tv),
}
"""Styles that ordinary listings have, by kind; a kind ends with its class."""

NEW: Mapping[str, tuple[Style, ...]] = {
    "bed": (beds.four_poster_bed, beds.bunk_bed),
    "sofa": (sofas.futon_sofa, sofas.tub_sofa),
    "table": (dining.glass_table, dining.block_table),
    "coffee table": (dining.coffee_table,),
    "chair": (dining.swivel_chair, dining.bar_stool_chair),
    "stove": (appliances.retro_stove, appliances.induction_stove),
    "fridge": (appliances.black_fridge, appliances.coloured_fridge),
    "kitchen sink": (appliances.copper_sink,),
    "bathroom sink": (appliances.stone_sink,),
    "tv": (appliances.framed_tv, appliances.tube_tv),
}
"""Styles that come into fashion later: what a model trained on the known ones has never seen."""
