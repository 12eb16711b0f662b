//! Exports of small lakes through the public interface: sums to the last digit, loud about what has no price.
