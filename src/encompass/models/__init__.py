"""Networks: trunks, detectors, branches and the table of rows."""
