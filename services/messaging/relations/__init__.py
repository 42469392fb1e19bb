"""Who may reach whom: settings, blocks, requests, reports."""
