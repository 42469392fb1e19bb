-- Who reacted to the message that the body with contents holds: what they chose is erased with their account.
ALTER TABLE deliveries ADD COLUMN reactor_ids text[];

CREATE INDEX deliveries_of_reactors ON deliveries USING gin (reactor_ids)
    WHERE body_with_contents IS NOT NULL AND reactor_ids IS NOT NULL;
