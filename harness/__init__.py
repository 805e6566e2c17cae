"""What a run needs besides training: flags, its folder, checkpoints, its log. No mathematics."""
