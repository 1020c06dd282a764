"""Scoring with the official metrics."""
