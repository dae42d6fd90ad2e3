"""Schema migrations, one module per version."""
