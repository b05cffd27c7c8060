-- Pairs of records that may be near duplicates, of the signatures that `convogen dedup --signatures` wrote of all shards.
--
-- Plain SQL over two tables or views: `records` over DIR/records/*.parquet, `bands` over DIR/bands/*.parquet. Write the result as
-- Parquet, in one file or many, and have it verified: `convogen dedup IN -o OUT --pairs RESULT`. See docs/scale.md.
--
-- Of exact copies one is compared for all. Two records are a pair if some band of their signatures is the same, and if
-- their sketches agree in enough of 64 values: four numbers hold four bits of each value, and (x | y) - (x & y) has the bits in which
-- x and y differ, whatever the engine writes for "exclusive or".
WITH first_copies AS (
    SELECT MIN(id) AS id
    FROM records
    GROUP BY exact_high, exact_low
),
compared AS (
    SELECT bands.*
    FROM bands
    JOIN first_copies ON bands.id = first_copies.id
)
SELECT DISTINCT one.id AS id, other.id AS other_id
FROM compared AS one
JOIN compared AS other
    ON one.band = other.band AND one.band_key = other.band_key AND one.id < other.id
WHERE 64 - bit_count(
    ((one.sketch_0 | other.sketch_0) - (one.sketch_0 & other.sketch_0))
    | ((one.sketch_1 | other.sketch_1) - (one.sketch_1 & other.sketch_1))
    | ((one.sketch_2 | other.sketch_2) - (one.sketch_2 & other.sketch_2))
    | ((one.sketch_3 | other.sketch_3) - (one.sketch_3 & other.sketch_3))
) >= one.agree
