/** What keeps the table `$1` from being exchanged: `problem` and `hint`, in words. No row: nothing does. */
export const BLOCKERS = `
WITH t AS (SELECT to_regclass($1)::oid AS oid)
SELECT problem, hint
FROM (
  SELECT 1 AS n, 'it is not there' AS problem, 'the next run makes it' AS hint FROM t WHERE oid IS NULL
  UNION ALL
  SELECT 2, CASE WHEN c.relispartition THEN 'it is a partition' WHEN c.relkind = 'p' THEN 'it is partitioned' ELSE 'it is no plain table' END,
    'let the step fill a plain table'
  FROM pg_class AS c JOIN t ON c.oid = t.oid WHERE c.relkind <> 'r' OR c.relispartition
  UNION ALL
  SELECT 3, 'tables inherit from it or it from others', 'let the step fill a plain table'
  FROM t WHERE EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = t.oid OR inhrelid = t.oid)
  UNION ALL
  SELECT 4, CASE c.oid WHEN t.oid THEN 'it' ELSE 'view ' || c.oid::regclass::text || ', which reads it,' END || ' belongs to ' || pg_get_userbyid(c.relowner)
      || ', and ' || current_user || ' may not change it',
    'GRANT ' || quote_ident(pg_get_userbyid(c.relowner)) || ' TO ' || quote_ident(current_user)
  FROM t JOIN pg_class AS c ON c.oid = t.oid OR (c.relkind = 'v' AND c.oid IN (
    SELECT r.ev_class FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_rewrite'::regclass))
  WHERE NOT pg_has_role(c.relowner, 'USAGE')
  UNION ALL
  SELECT 4, 'publication ' || p.pubname || ' would go on with the old one',
    'publish all tables of the schema instead, or take it out: ALTER PUBLICATION ' || quote_ident(p.pubname) || ' DROP TABLE ' || $1
  FROM t JOIN pg_publication_rel AS r ON r.prrelid = t.oid JOIN pg_publication AS p ON p.oid = r.prpubid
  UNION ALL
  SELECT 5, CASE WHEN v.relkind = 'm' THEN 'materialized view ' || v.oid::regclass::text || ' would go on with the old one'
      ELSE pg_describe_object(d.classid, d.objid, d.objsubid) || ' would go on with the old one' END,
    CASE WHEN v.relkind = 'm' THEN 'make it a view, or fill a table by a sql-upsert: DROP MATERIALIZED VIEW ' || v.oid::regclass::text
      ELSE 'drop it, and make it again when the swap is done' END
  FROM t
  JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.deptype = 'n'
  LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_class AS v ON v.oid = r.ev_class
  LEFT JOIN pg_trigger AS g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
  LEFT JOIN pg_attrdef AS f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
  LEFT JOIN pg_policy AS y ON d.classid = 'pg_policy'::regclass AND y.oid = d.objid
  WHERE d.classid <> 'pg_constraint'::regclass
    AND NOT coalesce(v.relkind = 'v', FALSE)
    AND t.oid IS DISTINCT FROM coalesce(g.tgrelid, f.adrelid, y.polrelid)
) AS found
ORDER BY n
LIMIT 1`

/**
 * Indexes of the tables `$1` (`old`) and `$2`: `what` is the same of two that do the same, `create` makes one like it on `$2` with
 * `{name}` for its name.
 */
export const INDEXES = `
SELECT i.indexrelid AS oid, c.relname AS name, i.indrelid = $1::regclass AS old,
  concat_ws(' ', k.contype, i.indisunique, k.condeferrable, k.condeferred, substr(def, strpos(def, ' USING '))) AS what,
  CASE WHEN k.oid IS NULL
    THEN 'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX {name} ON ' || $2::regclass::text || substr(def, strpos(def, ' USING '))
    ELSE 'ALTER TABLE ' || $2::regclass::text || ' ADD CONSTRAINT {name} ' || pg_get_constraintdef(k.oid)
  END AS create
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
CROSS JOIN LATERAL pg_get_indexdef(i.indexrelid) AS def
LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid IN ($1::regclass, $2::regclass)
ORDER BY i.indexrelid`

/**
 * What the table `$2` takes over from `$1` when it gets its name: statements, each with the `phase` in which it runs. Those below 10
 * run before the tables change their names, the others after: `$1` is then what the new one is called.
 */
export const CARRIED = `
WITH t AS (
  SELECT c.*, $1::regclass::text AS name FROM pg_class AS c WHERE c.oid = $1::regclass
), n AS (
  SELECT * FROM pg_class WHERE oid = $2::regclass
), keys AS (
  SELECT k.oid, quote_ident(k.conname) AS name, k.conrelid::regclass::text AS of FROM pg_constraint AS k JOIN t ON t.oid IN (k.conrelid, k.confrelid)
  WHERE k.contype = 'f' AND k.conparentid = 0
), triggers AS (
  SELECT g.* FROM pg_trigger AS g JOIN t ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
)
SELECT 1 AS phase, format('ALTER TABLE %s DROP CONSTRAINT %s', of, name) AS statement FROM keys
UNION ALL
SELECT 2, format('DROP TRIGGER %I ON %s', g.tgname, t.name) FROM triggers AS g, t
UNION ALL
SELECT 10, format('ALTER TABLE %s OWNER TO %I', t.name, pg_get_userbyid(t.relowner)) FROM t, n WHERE t.relowner <> n.relowner
UNION ALL
SELECT DISTINCT 11, format('REVOKE ALL ON TABLE %s FROM %s', t.name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
FROM t, n, aclexplode(n.relacl) AS a WHERE t.relacl IS DISTINCT FROM n.relacl
UNION ALL
SELECT 12, format('GRANT %s ON TABLE %s TO %s%s', a.privilege_type, t.name,
  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM t, n, aclexplode(coalesce(t.relacl, acldefault('r', t.relowner))) AS a WHERE t.relacl IS DISTINCT FROM n.relacl
UNION ALL
SELECT 12, format('GRANT %s (%I) ON TABLE %s TO %s%s', a.privilege_type, c.attname, t.name,
  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM t JOIN pg_attribute AS c ON c.attrelid = t.oid AND NOT c.attisdropped, aclexplode(c.attacl) AS a
UNION ALL
SELECT 13, format('DROP POLICY %I ON %s', p.polname, t.name) FROM t, n JOIN pg_policy AS p ON p.polrelid = n.oid
UNION ALL
SELECT 14, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, t.name, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ') FROM unnest(p.polroles) AS role))
  || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
FROM t JOIN pg_policy AS p ON p.polrelid = t.oid
UNION ALL
SELECT 15, format('ALTER TABLE %s %s ROW LEVEL SECURITY', t.name, CASE WHEN t.relrowsecurity THEN 'ENABLE' ELSE 'DISABLE' END)
FROM t, n WHERE t.relrowsecurity <> n.relrowsecurity
UNION ALL
SELECT 15, format('ALTER TABLE %s %sFORCE ROW LEVEL SECURITY', t.name, CASE WHEN t.relforcerowsecurity THEN '' ELSE 'NO ' END)
FROM t, n WHERE t.relforcerowsecurity <> n.relforcerowsecurity
UNION ALL
SELECT 16, format('COMMENT ON TABLE %s IS %L', t.name, obj_description(t.oid, 'pg_class')) FROM t, n
WHERE obj_description(t.oid, 'pg_class') IS DISTINCT FROM obj_description(n.oid, 'pg_class')
UNION ALL
SELECT 17, format('ALTER TABLE %s SET (%I = %L)', t.name, o.option_name, o.option_value) FROM t, pg_options_to_table(t.reloptions) AS o
UNION ALL
SELECT 18, format('ALTER TABLE %s REPLICA IDENTITY %s', t.name, CASE t.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE
  'USING INDEX ' || (SELECT quote_ident(i.relname) FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid WHERE x.indrelid = t.oid AND x.indisreplident) END)
FROM t WHERE t.relreplident <> 'd'
UNION ALL
SELECT 20, CASE d.deptype WHEN 'a' THEN format('ALTER SEQUENCE %s OWNED BY %s.%I', s.oid::regclass, t.name, c.attname)
  ELSE format('SELECT setval(pg_get_serial_sequence(%L, %L), last_value, is_called) FROM %s', t.name, c.attname, s.oid::regclass) END
FROM t
JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute AS c ON c.attrelid = t.oid AND c.attnum = d.refobjsubid
UNION ALL
SELECT 30, pg_get_triggerdef(g.oid) FROM triggers AS g
UNION ALL
SELECT 31, format('ALTER TABLE %s %s TRIGGER %I', t.name, CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, g.tgname)
FROM triggers AS g, t WHERE g.tgenabled <> 'O'
UNION ALL
SELECT 40, format('ALTER TABLE %s ADD CONSTRAINT %s %s', of, name, pg_get_constraintdef(oid)) FROM keys
UNION ALL
SELECT DISTINCT 50, format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass,
  coalesce(' WITH (' || (SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ') FROM pg_options_to_table(v.reloptions) AS o) || ')', ''), pg_get_viewdef(v.oid))
FROM t
JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_rewrite AS r ON r.oid = d.objid
JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'v'`
