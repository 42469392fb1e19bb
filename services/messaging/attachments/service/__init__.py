"""Uploads and downloads, the scanner's verdict, and the deletion of what nobody needs."""
