"""Loads what each worker needs, once, in the server that workers are forked from."""

from pizzeria_plugins.monitors import library

library.load()
