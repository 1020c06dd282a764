"""The torch-free runtime."""
