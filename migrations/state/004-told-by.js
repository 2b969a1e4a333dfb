/**
 * What each receiver was told of a pipeline (`notify`) and is not over. `about`: a step; empty: the run itself. `receiver`: its kind and
 * host; empty: all of them, as it was kept before.
 */
export async function up(knex) {
  await knex.schema.createTable('told_by', (table) => {
    table.text('pipeline').notNullable()
    table.text('warehouse').notNullable()
    table.text('receiver').notNullable()
    table.text('kind').notNullable()
    table.text('about').notNullable()
    table.bigInteger('at').notNullable()
    table.primary(['pipeline', 'warehouse', 'receiver', 'kind', 'about'])
  })
  const columns = ['pipeline', 'warehouse', 'kind', 'about', 'at']
  for (const row of await knex('told').select(columns)) await knex('told_by').insert({ ...row, receiver: '' })
  await knex.schema.dropTable('told')
}
