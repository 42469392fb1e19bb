"""The Helm chart, made from the overlay `production` as Kustomize renders it, so that the two cannot drift.

`python -m deploy.helm` (make helm) writes it to build/helm/parley. What a site may change is the table in values.py;
all else stands in the manifests alone.
"""
