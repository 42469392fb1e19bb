"""Files beside messages: announced here, put to and fetched from an object store by the devices."""
