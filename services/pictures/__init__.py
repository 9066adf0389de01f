"""Pictures: known by their bytes, bounded before they are decoded, kept upright and bare of everything but pixels."""
