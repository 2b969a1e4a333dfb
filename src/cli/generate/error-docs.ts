import ts from 'typescript'

/** An error class of ours, as its source says. */
export interface DocumentedError {
  readonly code: string
  readonly name: string
  readonly file: string
  /** Its doc comment. */
  readonly meaning: string
  /** What it passes to `super`, with values as `<name>`; undefined when it is made elsewhere. */
  readonly message: string | undefined
  readonly hint: string | undefined
  readonly retryable: boolean
  readonly outage: boolean
}

/** A source file: its path from the root of the project, and its text. */
export interface SourceText {
  readonly file: string
  readonly text: string
}

/** All error classes with a code of their own, by code. A code that two classes share is there twice. */
export function documentedErrors(sources: readonly SourceText[]): readonly DocumentedError[] {
  const found = sources.flatMap(({ file, text }) => {
    if (!text.includes('code')) return []
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
    const errors: DocumentedError[] = []
    const visit = (node: ts.Node): void => {
      if (ts.isClassDeclaration(node) && node.name && node.heritageClauses) errors.push(...errorsOf(node, node.name.text, file))
      ts.forEachChild(node, visit)
    }
    visit(source)
    return errors
  })
  return found.sort((a, b) => compare(a.code, b.code) || compare(a.file, b.file))
}

function errorsOf(node: ts.ClassDeclaration, name: string, file: string): readonly DocumentedError[] {
  const code = field(node, 'code')
  if (!code) return []
  const codes = code.initializer ? literals(code.initializer) : code.type ? literals(code.type) : []
  const hint = field(node, 'hint')?.initializer
  const blame = field(node, 'blame')?.initializer
  return codes.map((value) => ({
    code: value,
    name,
    file,
    meaning: docComment(node),
    message: messageOf(node),
    hint: hint && textOf(hint),
    retryable: field(node, 'retryable')?.initializer?.kind === ts.SyntaxKind.TrueKeyword,
    outage: blame !== undefined && textOf(blame) === 'outage',
  }))
}

/** Every text in an initializer (`'A'`, `late ? 'A' : 'B'`) or a type (`'A' | 'B'`). */
function literals(node: ts.Node): readonly string[] {
  if (ts.isStringLiteralLike(node)) return [node.text]
  const found: string[] = []
  ts.forEachChild(node, (child) => {
    found.push(...literals(child))
  })
  return found
}

function field(node: ts.ClassDeclaration, name: string): { initializer?: ts.Expression; type?: ts.TypeNode } | undefined {
  for (const member of node.members) {
    if (ts.isPropertyDeclaration(member) && member.name.getText() === name) return member
    if (!ts.isConstructorDeclaration(member)) continue
    const parameter = member.parameters.find((each) => each.modifiers && each.name.getText() === name)
    if (parameter) return parameter
  }
  return undefined
}

function messageOf(node: ts.ClassDeclaration): string | undefined {
  let message: string | undefined
  const visit = (child: ts.Node): void => {
    if (ts.isCallExpression(child) && child.expression.kind === ts.SyntaxKind.SuperKeyword) {
      const [first] = child.arguments
      message = first && textOf(first)
    } else ts.forEachChild(child, visit)
  }
  node.members.filter(ts.isConstructorDeclaration).forEach(visit)
  return message
}

/** A literal or template as a reader would see it, `<value>` where a value goes; undefined for anything else. */
function textOf(node: ts.Expression): string | undefined {
  if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) return textOf(node.expression)
  if (ts.isStringLiteralLike(node)) return node.text
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
    const [left, right] = [textOf(node.left), textOf(node.right)]
    return left !== undefined && right !== undefined ? left + right : undefined
  }
  if (!ts.isTemplateExpression(node)) return undefined
  return node.head.text + node.templateSpans.map((span) => `<${nameOf(span.expression)}>${span.literal.text}`).join('')
}

/** The name in an expression that says most: the last of a path, what a call is about. */
function nameOf(node: ts.Expression): string {
  if (ts.isIdentifier(node)) return node.text
  if (ts.isPropertyAccessExpression(node)) return node.name.text
  if (ts.isCallExpression(node)) {
    const [first] = node.arguments
    if (first && (ts.isIdentifier(first) || ts.isPropertyAccessExpression(first))) return nameOf(first)
    return ts.isPropertyAccessExpression(node.expression) ? nameOf(node.expression.expression) : nameOf(node.expression)
  }
  if (ts.isConditionalExpression(node)) return nameOf(node.condition)
  if (ts.isBinaryExpression(node)) return nameOf(node.left)
  if (ts.isElementAccessExpression(node) || ts.isNonNullExpression(node) || ts.isParenthesizedExpression(node))
    return nameOf(node.expression)
  return '…'
}

function docComment(node: ts.ClassDeclaration): string {
  const text = ts.getJSDocCommentsAndTags(node).map((each) => ts.getTextOfJSDocComment(each.comment) ?? '')
  return text.join(' ').replace(/\s+/g, ' ').trim()
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** docs/errors.md. */
export function errorsPage(errors: readonly DocumentedError[]): string {
  const sections = errors.map((error) => {
    const facts = [
      error.message === undefined ? undefined : `- Message: \`${error.message}\``,
      error.hint === undefined ? undefined : `- What to do: ${error.hint}`,
      error.retryable ? '- The same work may succeed on another attempt.' : undefined,
      error.outage
        ? '- An outage (endpoint, quota, login or machine): the unit is `failed`, keeps its attempts and runs again next time.'
        : undefined,
      `- Source: \`${error.name}\` in [${error.file}](../${error.file})`,
    ]
    return `## ${error.code}\n\n${error.meaning === '' ? '' : `${error.meaning}\n\n`}${facts.filter((fact) => fact !== undefined).join('\n')}\n`
  })
  return `# Errors

Every error that \`pipe\` expects has a code. It stands behind the message in the terminal, and in \`code\` of JSON events.
Mistakes in a pipeline file have no code: they are printed as \`file:line:column  path: message (hint)\`.

Generated by \`npm run generate\` from the error classes.

${sections.join('\n')}`
}
