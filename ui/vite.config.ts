import { defineConfig } from "vitest/config";

/** Airflow's UI puts these on `globalThis` for its plugins, so that none brings its own. */
const globals = {
  react: "React",
  "react/jsx-runtime": "ReactJSXRuntime",
  "@chakra-ui/react": "ChakraUI",
};

export default defineConfig({
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  test: {
    alias: {
      "react/jsx-runtime": "/src/fake/react.ts",
      react: "/src/fake/react.ts",
      "@chakra-ui/react": "/src/fake/chakra.ts",
    },
  },
  build: {
    lib: { entry: "src/main.tsx", formats: ["iife"], name: "batchJobs", fileName: () => "batch.js" },
    outDir: "../airflow_batch_jobs/static",
    emptyOutDir: true,
    target: "es2022",
    rolldownOptions: { external: Object.keys(globals), output: { globals } },
  },
});
