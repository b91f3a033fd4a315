"""`python -m tuning_trainer`: see `tuning_trainer.cli`."""

import sys

from tuning_trainer.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
