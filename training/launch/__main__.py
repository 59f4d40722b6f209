"""`python -m training.launch`."""

from training.launch.command import main

main()
