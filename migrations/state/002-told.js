/** What people were told of a pipeline (`notify`) and is not over. `about`: a step; empty: the run itself. */
export async function up(knex) {
  await knex.schema.createTable('told', (table) => {
    table.text('pipeline').notNullable()
    table.text('warehouse').notNullable()
    table.text('kind').notNullable()
    table.text('about').notNullable()
    table.bigInteger('at').notNullable()
    table.primary(['pipeline', 'warehouse', 'kind', 'about'])
  })
}
