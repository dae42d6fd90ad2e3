/**
 * Rules for the page's scripts: mistakes first, then what the page promises (no markup from strings, no code from text).
 */
import js from "@eslint/js";

const HTML = "Text goes in as text nodes: see webui/js/lib/dom.js.";

export default [
  js.configs.recommended,
  {
    files: ["**/*.js"],
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: "module",
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      // The type check knows every name of a browser.
      "no-undef": "off",
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-script-url": "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-implicit-globals": "error",
      "no-shadow": ["error", { builtinGlobals: false }],
      "no-throw-literal": "error",
      "no-unused-expressions": ["error", { allowShortCircuit: true, allowTernary: true }],
      "no-unused-vars": ["error", { args: "after-used", caughtErrors: "all", ignoreRestSiblings: true }],
      "no-promise-executor-return": "off",
      "no-self-compare": "error",
      "no-template-curly-in-string": "error",
      "no-unmodified-loop-condition": "error",
      "no-useless-rename": "error",
      "object-shorthand": "error",
      "require-atomic-updates": "off",
      "array-callback-return": "error",
      "no-constructor-return": "error",
      "no-alert": "error",
      "no-debugger": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: HTML },
        { property: "outerHTML", message: HTML },
        { property: "insertAdjacentHTML", message: HTML },
        { object: "document", property: "write", message: HTML },
        { object: "Math", property: "random", message: "Use crypto.getRandomValues." },
      ],
    },
  },
];
