-- Who is on some device and not away from it, as presence said last: of all people, since somebody may register a token
-- long after they came. `people.is_attended` knew of those alone who had one, and is read no more.
CREATE TABLE attended (
    user_id text PRIMARY KEY
);

INSERT INTO attended (user_id) SELECT user_id FROM people WHERE is_attended;
