/** What a warehouse did by itself that people should know. What is told before anybody hears it is kept. */
export class Notices {
  #kept: string[] = []
  #listener: ((message: string) => void) | undefined

  tell(message: string): void {
    if (this.#listener) this.#listener(message)
    else this.#kept.push(message)
  }

  hear(listener: (message: string) => void): void {
    this.#listener = listener
    for (const message of this.#kept.splice(0)) listener(message)
  }
}
