"""What reproduce.py needs: the lists of runs, what else is measured, the figures, the tables."""
