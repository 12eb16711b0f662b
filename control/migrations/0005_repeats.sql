-- When the lake's maintenance rewrote once more what pipelines wrote of an erased person before they had read the list.
ALTER TABLE erasures ADD COLUMN repeated_at BIGINT;
