import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'plugins/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
    testTimeout: 90_000,
    // Tests of deadlines and kills look at a real clock: on a machine that does other work a wrong wait is tried again, and reported.
    retry: process.env.CI ? 2 : 0,
    hookTimeout: 90_000,
    pool: 'forks',
    // Tests wait for servers and deadlines most of their time: two cores are busy with five of them.
    maxWorkers: 5,
  },
})
