"""`python -m deploy.cluster up|images|down|dry-run`: a real Kubernetes on this machine."""

import sys

from deploy.cluster.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
