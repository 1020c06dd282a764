"""Tables and figures from stored results: no figure is typed by hand."""
