"""The SFU alone under load: its real process, and peers that speak its protocols without decoding."""
