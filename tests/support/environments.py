"""What services are told in tests that start none: the least with which each reads its configuration."""

MESSAGING = {
    "PARLEY_SERVICE_PUBLIC_KEYS_FILE": "/keys/public.json",
    "PARLEY_SERVICE_PRIVATE_KEYS_FILE": "/keys/messaging.json",
    "PARLEY_JWKS_URL": "http://127.0.0.1:1/jwks.json",
    "PARLEY_JWT_ISSUER": "https://network.example",
    "PARLEY_DATABASE_URL": "postgresql://localhost/x",
    "PARLEY_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "PARLEY_OBJECTS_ENDPOINT": "https://s3.example/",
    "PARLEY_OBJECTS_KEY_ID": "k",
    "PARLEY_OBJECTS_SECRET": "s",
}
