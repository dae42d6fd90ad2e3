"""What the product does: jobs, queue, stages, voices, avatars."""
