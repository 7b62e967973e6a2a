-- What the raw file of sales invoices says, by client and year; nothing of the feed or the services is used here.
-- gross: valid positive rows. void_share: void rows ÷ all rows. credit_share: −negative ÷ gross.
-- top_debtor_share: the largest debtor's gross ÷ gross. Definitions: the data's README.
WITH by_debtor AS (
    SELECT client, extract(year FROM date)::int AS year, debtor, sum(gross) AS gross
    FROM sales WHERE status = 'valid' AND gross > 0 GROUP BY 1, 2, 3
), top AS (
    SELECT client, year, max(gross) AS gross FROM by_debtor GROUP BY 1, 2
), totals AS (
    SELECT client, extract(year FROM date)::int AS year,
           count(*) AS rows,
           count(*) FILTER (WHERE status = 'void') AS void_rows,
           count(*) FILTER (WHERE status = 'valid' AND gross < 0) AS credit_rows,
           coalesce(sum(gross) FILTER (WHERE status = 'valid' AND gross > 0), 0) AS gross,
           coalesce(-sum(gross) FILTER (WHERE status = 'valid' AND gross < 0), 0) AS credit
    FROM sales GROUP BY 1, 2
)
SELECT t.client, t.year, t.rows, t.void_rows, t.credit_rows, round(t.gross, 2) AS gross, round(t.credit, 2) AS credit,
       round(t.void_rows::numeric / t.rows, 4) AS void_share,
       round(t.credit / nullif(t.gross, 0), 4) AS credit_share,
       round(top.gross / nullif(t.gross, 0), 4) AS top_debtor_share
FROM totals t LEFT JOIN top USING (client, year) ORDER BY 1, 2
