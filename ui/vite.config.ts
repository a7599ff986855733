import { defineConfig } from "vite";

/** Airflow's UI puts these on `globalThis` for its plugins, so that none brings its own. */
const globals = {
  react: "React",
  "react/jsx-runtime": "ReactJSXRuntime",
  "@chakra-ui/react": "ChakraUI",
};

export default defineConfig({
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  build: {
    lib: { entry: "src/main.tsx", formats: ["iife"], name: "batchJobs", fileName: () => "batch.js" },
    outDir: "../airflow_batch_jobs/static",
    emptyOutDir: true,
    target: "es2022",
    rolldownOptions: { external: Object.keys(globals), output: { globals } },
  },
});
