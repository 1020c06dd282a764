"""Datasets: COCO persons, Penn-Fudan, augmentation and loading."""
