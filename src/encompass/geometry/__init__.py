"""Boxes, grids, masks and resizing: plain numpy, shared by both halves."""
