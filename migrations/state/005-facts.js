/** The newest facts of a run, as a JSON array, and how many older ones are gone. Beside the runs: lists of those leave them out. */
export async function up(knex) {
  await knex.schema.createTable('facts', (table) => {
    table.text('run').primary()
    table.text('facts').notNullable()
    table.integer('dropped').notNullable()
  })
}
