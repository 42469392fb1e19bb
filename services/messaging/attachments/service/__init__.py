"""Uploads and downloads, the scanner's word, and the deletion of what nobody needs."""
