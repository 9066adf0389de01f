"""The schema's history.

A revision is a file `versions/NNNN_name.py` whose revision id is NNNN; the highest is the head.
"""
