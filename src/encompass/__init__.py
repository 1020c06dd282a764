"""Instance segmentation whose cost you pay per object, on plain CPUs, without torch at run time.

    >>> import encompass
    >>> model = encompass.load("multi-shape-mn0.75-320")
    >>> result = model("photo.jpg")
    >>> result.boxes, result.scores, result.masks
"""

__version__ = "0.1.0"
