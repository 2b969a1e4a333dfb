/** What people want of a run that is under way, as JSON. It is the run's alone: another one begins without. */
export async function up(knex) {
  await knex.schema.alterTable('runs', (table) => {
    table.text('wish')
  })
}
