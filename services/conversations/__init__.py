"""What the user sees and the database keeps."""
